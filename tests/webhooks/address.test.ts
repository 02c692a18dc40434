/** Which addresses and URLs a webhook may go to. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import {
  type Address,
  callbackUrlProblem,
  chooseAddress,
  isPublic,
  resolveAddress,
} from '../../src/webhooks/address.ts';

function addressOf(text: string): Address {
  return { address: text, family: isIP(text) as 4 | 6 };
}

describe('an address is not public', () => {
  for (const [kind, addresses] of [
    ['"this" network', ['0.0.0.0', '0.255.255.255']],
    ['private', ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255']],
    ['shared by a carrier', ['100.64.0.0', '100.127.255.255']],
    ['loopback', ['127.0.0.1', '127.255.255.255']],
    ['link-local, as the metadata service of a cloud', ['169.254.0.0', '169.254.169.254', '169.254.255.255']],
    ['of IETF protocols', ['192.0.0.0', '192.0.0.255', '192.88.99.1']],
    ['for documentation', ['192.0.2.1', '198.51.100.1', '203.0.113.1']],
    ['for benchmarks', ['198.18.0.0', '198.19.255.255']],
    ['multicast, reserved or broadcast', ['224.0.0.0', '239.255.255.255', '240.0.0.1', '255.255.255.255']],
    ['IPv6 loopback or unspecified', ['::1', '::']],
    ['IPv4 in IPv6', ['::ffff:10.0.0.1', '::ffff:93.184.215.14', '64:ff9b::a00:1', '2002:a00:1::']],
    ['IPv6 link-local, unique local or multicast', ['fe80::1', 'fc00::1', 'fd00::1', 'ff02::1']],
    ['IPv6 for protocols or documentation', ['2001::1', '2001:1ff:ffff::', '2001:db8::1', '3fff::1']],
  ] as const) {
    for (const address of addresses) {
      test(`${address}: ${kind}`, () => assert.equal(isPublic(addressOf(address)), false));
    }
  }
});

describe('an address is public', () => {
  for (const address of [
    '1.0.0.0',
    '9.255.255.255',
    '11.0.0.0',
    '93.184.215.14',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.0.3.0',
    '192.88.98.1',
    '192.88.100.1',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '198.51.101.0',
    '203.0.112.255',
    '203.0.114.0',
    '223.255.255.255',
    '2001:200::1',
    '2001:db9::1',
    '2003::1',
    '2606:4700::1111',
    '3fff:1000::1',
  ]) {
    test(address, () => assert.equal(isPublic(addressOf(address)), true));
  }
});

describe('the addresses of one name', () => {
  const open = addressOf('93.184.215.14');
  const inside = addressOf('10.0.0.1');
  const reason = { message: 'it leads to a private, loopback or link-local address' };

  test('the first one is taken when all are public', () => {
    assert.deepEqual(chooseAddress([open, addressOf('2606:4700::1111')], false), open);
  });

  for (const [order, found] of [
    ['first', [inside, open]],
    ['last', [open, inside]],
  ] as const) {
    test(`are refused when one is public and one is private, the private one ${order}`, () => {
      assert.throws(() => chooseAddress([...found], false), reason);
    });
  }

  test('are accepted when private addresses are allowed', () => {
    assert.deepEqual(chooseAddress([inside, open], true), inside);
  });

  test('are refused when there are none', () => {
    assert.throws(() => chooseAddress([], true), { message: 'its host name has no address' });
  });
});

describe('a callback_url', () => {
  for (const url of [
    'http://localhost/',
    'http://x.localhost/',
    'http://127.0.0.1:8000/hook',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://[::1]:80/',
    'http://[::ffff:7f00:1]/',
    'https://169.254.169.254/',
  ]) {
    test(`${url} is refused unless private addresses are allowed`, async () => {
      assert.match(callbackUrlProblem(url, false) ?? '', /private, loopback or link-local/);
      assert.equal(callbackUrlProblem(url, true), undefined);
      await assert.rejects(resolveAddress(new URL(url), false), /private, loopback or link-local/);
    });
  }

  for (const [url, problem] of [
    ['nonsense', /not a URL/],
    [`https://example.org/${'x'.repeat(2048)}`, /at most 2048 characters/],
    ['file:///etc/passwd', /neither http nor https/],
    ['ftp://example.org/', /neither http nor https/],
    ['https://user@example.org/', /user name or password/],
    ['https://:pass@example.org/', /user name or password/],
  ] as const) {
    test(`${url.slice(0, 40)} is refused`, () => assert.match(callbackUrlProblem(url, true) ?? '', problem));
  }

  for (const url of ['https://example.org/hook', 'http://example.org:8080/', 'http://93.184.215.14/']) {
    test(`${url} is accepted`, () => assert.equal(callbackUrlProblem(url, false), undefined));
  }
});
