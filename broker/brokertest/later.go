package brokertest

var leaseTests, capacityTests, faultTests, outcomeTests, deadTests, inputTests, endTests, serverTests []test
