"""Rules of AWS as pure functions and plain records: authorization, alarms, the embedded metric format, SNS messages."""
