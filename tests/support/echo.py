"""The smallest model that a worker serves: it says what it was asked."""


class Model:
    kinds = ("text",)
    card = {"model": "echo"}

    def predict(self, jobs):
        return [job.prompt for job in jobs]


def model():
    return Model()
