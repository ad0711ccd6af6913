'use strict';
// For the image's HEALTHCHECK: exits with 0 if the service can answer.

const grpc = require('@grpc/grpc-js');
const { service } = require('grpc-health-check');
const { SERVICE } = require('./contract');

const Client = grpc.makeClientConstructor(service, 'Health');
const client = new Client(`127.0.0.1:${process.env.PORT ?? 50051}`, grpc.credentials.createInsecure());
const deadline = Date.now() + 5000;
client.check({ service: SERVICE }, { deadline }, (error, response) => {
  console.log(error ? error.details : response.status);
  process.exit(response?.status === 'SERVING' ? 0 : 1);
});
