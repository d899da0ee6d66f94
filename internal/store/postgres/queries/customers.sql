-- Statements on customers.

-- name: EnsureCustomer
INSERT INTO customers (id, email, name, canary, created_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (lower(email)) WHERE erased_at IS NULL DO NOTHING
RETURNING id;

-- name: CustomerByEmail
SELECT id
  FROM customers
 WHERE lower(email) = lower($1) AND erased_at IS NULL;

-- name: GetCustomer
SELECT id, email, name, canary, created_at
  FROM customers
 WHERE id = $1 AND erased_at IS NULL;
