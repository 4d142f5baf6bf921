"""The desk: where people decide about comments, and where authors get reasons and a second look.

A plain library over one database. Every function takes a connection inside a transaction and the present
moment; what changes state writes an event in the same transaction (`giantkiller.desk.events`). The pages and
the API on top of it are in `web`, `views_*` and `api`.
"""
