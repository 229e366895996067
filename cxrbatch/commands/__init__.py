"""One module per command. They import nothing heavy: what a command needs is imported when it runs."""
