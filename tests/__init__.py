"""The tests, one folder for each subject; run `./dev test`."""
