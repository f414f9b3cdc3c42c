"""The command line: one file per noun, each loaded when it is used.

A command reads and writes the metastore through the ports, as the web server does; it asks no server. Everything
heavy is imported inside the commands, so that ``--help`` and completion cost little more than Python itself.
"""
