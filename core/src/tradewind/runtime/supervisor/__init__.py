"""The worker process: claims attempts, has them forked, watches over them, reports how they ended.

Theory of operation
-------------------
One thread, one epoll loop, no user code. Per turn it takes what came, and at the end of the turn sends
everything it has to ask in one call.

An attempt is *claiming* (its process may already have been forked and waits), *running*, and *ended* when
its outcome is known: by its own last word, or, when it died without one, by its exit status. The outcome
is spooled, then reported until the answer came; the process' exit frees the rest.

Trust: the claim and each heartbeat that was answered vouch for an attempt for LEASE_SECONDS from the moment
the question was *sent*, on this machine's monotonic clock. When that runs out the attempt is killed: somebody
else may own it. The base fork server holds the same deadline for the case that this process is frozen.
"""
