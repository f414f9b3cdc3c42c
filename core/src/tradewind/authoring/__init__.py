"""What DAG files import: the classes and decorators that describe DAGs, and the compiler that checks them.

From the bottom up: ``place`` (file and line), ``graph`` (nodes and edges), ``scope`` (what is open), ``xcom``
(references), ``options`` and ``arguments`` (what tasks accept), ``task``, ``mapped``, ``operator``, ``group``, ``dag``,
the decorators, ``registry`` (what a file made) and ``compile`` (DAG -> DagSpec). Authors import from ``tradewind``.
"""
