"""Processes that have imported a DAG file and fork one process per attempt.

Theory of operation
-------------------
Three generations below the supervisor. The *base* server (one; ``python -m tradewind.runtime.forkserver``)
has imported the runtime and nothing heavy. For each DAG file version it forks a *version* server, which
imports that file once. An *attempt* is a fork of its version server: warm, isolated, gone after one task.
When importing a file started threads, forking on from it is unsafe: its attempts are forks of the base
server that import the file themselves.

Each server is single-threaded and talks to the supervisor over a packet socket of its own
(:mod:`.messages`); an attempt gets a stream socket (its questions and its outcome) and a pipe (all it
prints) by file descriptor passing. An attempt waits for its context before any code of a user runs: the
supervisor may fork while the claim is in flight.

Death runs downwards: servers below the base and attempts carry PR_SET_PDEATHSIG, and the base server, which outlives a
supervisor killed by SIGKILL, sees its socket close and ends everything below with all that was left behind.
It does the same when the supervisor's trust in its leases runs out while that process is frozen.
"""
