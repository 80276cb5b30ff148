"""The project: settings, URLs, and the one `Hooks` that all apps share."""
