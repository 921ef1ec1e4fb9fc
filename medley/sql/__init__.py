"""The texts that Postgres reads and writes: tokens, quoting, COPY's rows, analysed trees. Pure, without a driver."""
