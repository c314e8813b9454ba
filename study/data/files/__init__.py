"""Files and archives as they are handed over: opened, decoded, checked, remembered."""
