'use strict';
// How a whole call is refused: a status, and google.rpc messages in its details.

const { Metadata, status } = require('@grpc/grpc-js');
const { rpc } = require('./contract');

/** An error that gRPC sends as it is. `details` are [name, message] pairs: ['RetryInfo', {...}]. */
function refusal(code, message, ...details) {
  const metadata = new Metadata();
  if (details.length) {
    const packed = details.map(([name, value]) => ({
      type_url: `type.googleapis.com/google.rpc.${name}`,
      value: rpc[`google.rpc.${name}`].serialize(value),
    }));
    const whole = rpc['google.rpc.Status'].serialize({ code, message, details: packed });
    metadata.set('grpc-status-details-bin', whole);
  }
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** INVALID_ARGUMENT for [field, reason] pairs: all that is wrong, so that a caller mends it in one go. */
function invalid(violations) {
  const [field, reason] = violations[0];
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : '';
  const field_violations = violations.map(([field, description]) => ({ field, description }));
  return refusal(status.INVALID_ARGUMENT, `${field}: ${reason}${more}`, ['BadRequest', { field_violations }]);
}

/** FAILED_PRECONDITION: the model cannot do what was asked. */
const lacks = (capability) => refusal(status.FAILED_PRECONDITION, `this model has no ${capability}`);

/** UNAVAILABLE: ask again, perhaps another replica. */
const unavailable = (reason) => refusal(status.UNAVAILABLE, reason);

/** RESOURCE_EXHAUSTED with RetryInfo, by which callers know that it passes. */
function full(seconds) {
  const retry_delay = { seconds: Math.floor(seconds), nanos: Math.round((seconds % 1) * 1e9) };
  return refusal(status.RESOURCE_EXHAUSTED, 'the queue is full', ['RetryInfo', { retry_delay }]);
}

module.exports = { invalid, lacks, unavailable, full };
