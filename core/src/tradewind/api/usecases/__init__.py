"""What people do and ask, whatever they use for it: the command line, the web page or REST.

Each use case asks :func:`~tradewind.api.usecases.authorize.authorize` first, takes a metastore and plain values, and
returns rows or JSON shapes. How they are drawn is the caller's.
"""
