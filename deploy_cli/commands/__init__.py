"""One verb a file: parse, loop, print."""
