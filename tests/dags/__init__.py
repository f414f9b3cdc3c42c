"""The example DAGs: each is run to the states and values that it promises."""
