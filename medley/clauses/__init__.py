"""What clients write of a query: conditions and orders. Postgres parses and judges them; nothing here guesses.

`text` keeps a clause inside its parentheses, `judge` asks Postgres what it is, `analysed` reads the answer, `allowed`
is what it may use, `order` reads ORDER BY, `refusal` is how the caller is told.
"""
