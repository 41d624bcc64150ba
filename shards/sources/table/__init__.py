"""Tables of labels, as spreadsheets, pandas and labeling tools export them."""
