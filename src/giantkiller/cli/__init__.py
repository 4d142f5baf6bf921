"""The command line: one module a command; nothing but argument handling and printing.

The same short options everywhere: -m/--model, -o/--output, -d/--data, -p/--policy, -t/--threads, -j/--json.
MODEL is always one of: `default` (the shipped model), a bundle folder, a checkpoint folder, a hub id.

Exit statuses:

    0    done
    1    not done, for a reason that a user can mend; standard error has it in one sentence
    2    the command line itself is wrong: an unknown option, a missing argument
    3    done, but some rows could not be screened; each has its reason in the column `error`
    4    what was learned is not better, and nothing was written (`giantkiller adapt`)
    130  interrupted (Ctrl-C)
    141  whoever read the output went away (`giantkiller ... | head`)
"""

FAILED = 1
ROWS_FAILED = 3
NOT_BETTER = 4
INTERRUPTED = 130
READER_GONE = 141
