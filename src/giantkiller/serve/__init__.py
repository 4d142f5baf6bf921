"""The scoring service: one process that answers as the Perspective API did, and more.

`create` makes the application, `Settings` says what can be set, `run` serves. Other rooms join the same
process through `Service` (see `giantkiller.serve.service`).
"""
