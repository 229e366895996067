"""What every HTML page is made with: templates, style, plots, tables, wording."""
