DROP TABLE payments;
DROP TABLE order_lines;
DROP TABLE orders;
DROP TABLE purchase_tallies;
DROP TABLE offers;
DROP TABLE domains;
DROP TABLE merchants;
