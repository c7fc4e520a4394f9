"""Suites of edited pictures: GEdit-Bench and ImgEdit-Bench, graded by a judge that sees what was and what became."""
