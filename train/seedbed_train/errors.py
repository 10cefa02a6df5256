"""Errors in four parts: what, where, found and wanted, what to do."""


class TrainError(Exception):
    """Something from outside (a file, a recipe, a number that ran away) that training cannot go on with."""

    def __init__(self, what, where, found, todo):
        self.what, self.where, self.found, self.todo = what, str(where), found, todo
        super().__init__(f"{what}: {self.where}: {found}; {todo}")
