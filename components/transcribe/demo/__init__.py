"""The demo profile's word times: phonetic alignment by pocketsphinx."""
