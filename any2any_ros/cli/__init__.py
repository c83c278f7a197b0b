"""The `any2any` command: one file a verb."""
