'use strict';
// The server: the contract's two calls, health, reflection, and the states loading, ready, draining.

const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');
const grpc = require('@grpc/grpc-js');
const { HealthImplementation } = require('grpc-health-check');
const { ReflectionService } = require('@grpc/reflection');
const { contract, SERVICE } = require('./contract');
const { checkRequest, checkPictures } = require('./checks');
const { full, unavailable } = require('./refusal');
const model = require('./model');

const MAX_REQUEST_BYTES = 64 * 2 ** 20;
const MAX_IN_FLIGHT = 8; // inspections that are worked on or wait
const DRAIN_SECONDS = 30;
const LAST_WORDS_SECONDS = 0.5;
const RETRY_SECONDS = 0.2; // what a place takes to become free, roughly

let state = 'STATE_LOADING';
let inFlight = 0;
let turn = Promise.resolve(); // the end of the last inspection in the queue: the model takes one at a time

function getModel(call, callback) {
  const limits = {
    max_images: model.maxImages,
    max_in_flight: MAX_IN_FLIGHT,
    max_request_bytes: MAX_REQUEST_BYTES,
  };
  callback(null, { ...model.card, limits, state, state_detail: state.slice('STATE_'.length).toLowerCase() });
}

async function answer(call) {
  let placed = false;
  try {
    if (state !== 'STATE_READY') throw unavailable(`not ready: ${state}`);
    checkRequest(call.request);
    if (inFlight >= MAX_IN_FLIGHT) throw full(RETRY_SECONDS);
    inFlight += 1;
    placed = true;
    const arrived = performance.now();
    await checkPictures(call.request.images);
    const checked = performance.now();
    const mine = turn.then(() => work(call, { arrived, checked }));
    turn = mine.catch(() => {}); // one inspection's fault is not the next one's
    await mine;
    call.end();
  } catch (error) {
    // Node's own errors have codes, too, which are words.
    const told = Number.isInteger(error.code);
    call.emit('error', told ? error : { code: grpc.status.INTERNAL, details: String(error) });
  } finally {
    inFlight -= placed;
  }
}

/** Answers each question as soon as it is known, and stops when nobody waits any more. */
async function work(call, { arrived, checked }) {
  let timing = {
    queue_seconds: (performance.now() - checked) / 1000,
    encode_seconds: (checked - arrived) / 1000,
  };
  for (const question of call.request.questions) {
    await new Promise(setImmediate); // cancellations and passed deadlines are heard between questions
    if (call.cancelled) return;
    call.write({ question_id: question.question_id, timing, ...(await outcome(question)) });
    timing = {}; // each second is told once
  }
}

async function outcome(question) {
  try {
    return { answered: { text: await model.answer(question), finish_reason: 'FINISH_REASON_STOP' } };
  } catch (error) {
    return { failure: { reason: 'FAILURE_REASON_INTERNAL', message: String(error) } };
  }
}

/** Takes nothing new, waits for what is under way, and exits: with 0 if all of it ended in time. */
async function drain(server, health) {
  state = 'STATE_DRAINING';
  health.setStatus(SERVICE, 'NOT_SERVING');
  const end = performance.now() + DRAIN_SECONDS * 1000;
  while (inFlight && performance.now() < end) await sleep(20);
  const exit = () => process.exit(inFlight ? 1 : 0);
  server.tryShutdown(exit); // once the last words are on the wire,
  await sleep(LAST_WORDS_SECONDS * 1000); // though somebody may watch the health for ever
  exit();
}

async function main() {
  const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'NOT_SERVING' });
  const server = new grpc.Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_send_message_length': -1,
  });
  server.addService(contract[SERVICE], { getModel, answer });
  health.addToServer(server);
  new ReflectionService(contract).addToServer(server);

  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => drain(server, health));
  const host = process.env.HOST ?? '127.0.0.1';
  const bind = promisify(server.bindAsync.bind(server));
  const port = await bind(`${host}:${process.env.PORT ?? 50051}`, grpc.ServerCredentials.createInsecure());
  console.log(`${model.card.name} listening on ${host}:${port}`);

  await model.load();
  if (state !== 'STATE_LOADING') return;
  state = 'STATE_READY';
  health.setStatus(SERVICE, 'SERVING');
}

main().catch((error) => {
  console.error(`cannot start: ${error.message}`);
  process.exit(1);
});
