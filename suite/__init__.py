"""Run it: data, protocols, trials, studies, the record store, executors, evaluation and the command line."""
