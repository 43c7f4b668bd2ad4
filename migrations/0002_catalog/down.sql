DROP TABLE stock_entries;
DROP TABLE allotments;
DROP TABLE collectible_stocks;
DROP TABLE collectibles;
DROP TABLE series;
