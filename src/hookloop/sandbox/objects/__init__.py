"""One file per resource of the API: its shape, its transitions, the events it emits."""
