"""What commands print on a terminal: tables, charts and progress bars, made with rich."""
