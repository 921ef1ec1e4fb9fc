"""Headers of messages on `CHANGES` and `SHAPES`."""

MSG_ID = "Nats-Msg-Id"  # JetStream: stored once within the dedupe window
EXPECTED_LAST_MSG_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
ROLLUP = "Nats-Rollup"

# CHANGES
LSN = "Medley-Lsn"  # commit LSN, decimal
XID = "Medley-Xid"  # 32-bit transaction id
POSITION = "Medley-Position"  # index of the message's first change in its transaction
LAST = "Medley-Last"  # CHANGES and log: "true" on a message that ends a transaction

# SHAPES
OFFSET = "Medley-Offset"  # log: the offset of the message's last entry
AFTER = "Medley-After"  # log: the offset of the entry before the message's first
BYTES = "Medley-Bytes"  # log: how many bytes of entries it has ever held, with this message's
PART = "Medley-Part"  # snapshot: index of the part, from 0
CHUNK = "Medley-Chunk"  # snapshot: number of the chunk that the part belongs to, from 0
FINAL = "Medley-Final"  # snapshot: "true" on the last part

# INGEST_DEAD
REASON = "Medley-Reason"
