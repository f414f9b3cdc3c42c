"""The task process: runs one attempt of one task, and knows neither database nor scheduler.

Theory of operation
-------------------
:func:`tradewind.runtime.task.execute.run_attempt` is a row of small steps that carry one struct: find the
operator, pick the arguments of its map index, fetch the XComs it refers to, render its templates, call
``execute``, collect the results, and say how it ended. Whatever user code does, the answer is one
:class:`~tradewind.ports.runtime_api.OutcomeReport`; nothing escapes but the end of the process itself.

Everything from outside (XComs, connections, variables, stored state) is asked for through a
:class:`~tradewind.runtime.task.data.DataClient`, one question at a time, when it is needed. Data that came
from outside is never rendered as a template.
"""
