'use strict';
// The contract as it is written in protos/, and the messages of google.rpc.

const path = require('node:path');
const protoLoader = require('@grpc/proto-loader');

const options = {
  includeDirs: [path.join(__dirname, '../../../protos'), __dirname],
  keepCase: true,
  enums: String,
  longs: Number,
  defaults: true, // of what is not optional
};

const contract = protoLoader.loadSync('mmad/answer/v1/answer.proto', options);
const rpc = protoLoader.loadSync('google_rpc.proto', options);
const SERVICE = 'mmad.answer.v1.AnswerService';

module.exports = { contract, rpc, SERVICE };
