from data_processing.service import failure_reason

JAVA = """[STREAM_FAILED] Query [id = 1] terminated with exception: Job aborted
JVM stacktrace:
org.apache.spark.SparkException: Job aborted
Caused by: org.apache.spark.SparkException: Task failed while writing rows
\tat org.apache.spark.Something.run(Something.scala:1)
Caused by: java.io.IOException: No space left on device
\tat java.io.FileOutputStream.writeBytes(Native Method)
"""


def test_the_innermost_cause_of_a_java_trace_is_reported() -> None:
    assert failure_reason(RuntimeError(JAVA)) == "IOException: No space left on device"


def test_a_python_error_is_reported_by_its_first_line() -> None:
    assert failure_reason(ValueError("\nfirst\nsecond")) == "ValueError: first"


def test_an_error_without_words_has_its_name() -> None:
    assert failure_reason(KeyError()) == "KeyError: "
