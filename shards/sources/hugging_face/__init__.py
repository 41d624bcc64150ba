"""Hugging Face sets: image folders with metadata, and Parquet with the images inside."""
