"""Headers of messages on `CHANGES` and `SHAPES`."""

MSG_ID = "Nats-Msg-Id"  # JetStream: stored once within the dedupe window
EXPECTED_LAST_MSG_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
ROLLUP = "Nats-Rollup"

# CHANGES
LSN = "Medley-Lsn"  # commit LSN, decimal
XID = "Medley-Xid"  # 32-bit transaction id
POSITION = "Medley-Position"  # index of the message's first change in its transaction
LAST = "Medley-Last"  # "true" on the last message of a transaction

# SHAPES
OFFSET = "Medley-Offset"  # log: the offset after the message's last entry
CHANGES_SEQUENCE = "Medley-Changes-Sequence"  # log: the last message of CHANGES that the entry includes
PART = "Medley-Part"  # snapshot: index of the part, from 0
FINAL = "Medley-Final"  # snapshot: "true" on the last part

# INGEST_DEAD
REASON = "Medley-Reason"
