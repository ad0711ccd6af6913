'use strict';
// The model: whoever answers the longest option has looked at nothing, and does better than chance wherever
// the right answer was written with the most care. It stands where yours goes.

const { createHash } = require('node:crypto');

const card = {
  name: 'longest_option',
  family: 'baseline',
  checkpoint: 'none',
  revision: require('./package.json').version,
  quantization: 'none',
  device: 'cpu',
  capabilities: { deterministic: true, text_only: true },
  environment: {
    node: process.versions.node,
    '@grpc/grpc-js': require('@grpc/grpc-js/package.json').version,
  },
  prompt_sha256: createHash('sha256').update('').digest('hex'), // there is no prompt
  notes: ['it answers the longest option, the first of several, and looks at no image'],
};

const maxImages = 64;

/** Makes the model ready. There is nothing to load here; what takes minutes elsewhere is awaited. */
async function load() {}

/** Returns the text of the answer to one question. */
async function answer(question) {
  const lengths = question.options.map((option) => option.text.length);
  return question.options[lengths.indexOf(Math.max(...lengths))].letter;
}

module.exports = { card, maxImages, load, answer };
