-- Subscriptions whose price the operator has agreed on with the customer.

-- None of the subscription's prices is a plan's.
ALTER TABLE billing_accounts ADD COLUMN is_individual boolean NOT NULL DEFAULT false;
