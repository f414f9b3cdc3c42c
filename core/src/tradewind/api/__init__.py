"""What workers, people and programs may ask: the runtime API and the use cases; authorization is here, once."""
