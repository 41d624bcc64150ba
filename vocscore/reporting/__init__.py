"""Reports: predictions, figures and mistakes in one HTML file."""
