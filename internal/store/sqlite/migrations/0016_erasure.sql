-- +goose Up
-- An erasure asks for the submissions of a customer, once for each business.
CREATE INDEX submissions_of_customer ON submissions (customer_id);
