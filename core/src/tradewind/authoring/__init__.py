"""What DAG files import: the classes and decorators that describe DAGs, and the compiler that checks them."""
