"""Records beside results that state their origin; read by later versions and on other machines."""
