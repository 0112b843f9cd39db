"""Pictures of an evaluation: `gan-lightning plot pairs|truncation|neighbours|curves`.

Each module has a function that makes a matplotlib figure from given data, and the command that gathers the data. The
modules are imported only when needed, since the drawing libraries take seconds to import.
"""
