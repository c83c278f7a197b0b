"""Names of the release before; each module here forwards to the one that took its place."""
