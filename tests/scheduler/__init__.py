"""The leader's parts on a virtual clock, an in-memory metastore, and an executor that is the test."""
