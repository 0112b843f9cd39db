"""Pictures of an evaluation: `python -m gan_lightning plot pairs|truncation|neighbours|curves`.

Each module has a function that makes a matplotlib figure of data at hand, and the command that gathers the data. They
are imported one by one, where they are wanted: the libraries that draw take seconds to import.
"""
