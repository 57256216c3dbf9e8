'use strict';
// A plugin of the Serverless Framework: adds the bytecode of every module to the zip, made by the runtime's own Python.
// A function cannot write into its folder. Without bytecode it compiles all that it imports at every cold start.
const { execFileSync, spawnSync } = require('node:child_process');
const path = require('node:path');

class Bytecode {
  constructor(serverless, options, { log }) {
    const add = () => this.add(serverless, log);
    this.hooks = {
      'after:package:createDeploymentArtifacts': add,
      'after:deploy:function:packageFunction': add,
    };
  }

  add({ service, serviceDir }, log) {
    const { runtime } = service.provider;
    // The same bytes each time; and pyenv's scripts run this version.
    const env = { ...process.env, PYTHONHASHSEED: '0', PYENV_VERSION: runtime.replace('python', '') };
    const python = ['python3', runtime].find((name) => cacheTag(name, env) === runtime.replace('python3.', 'cpython-3'));
    if (!python) {
      log.warning(
        `No ${runtime} is on the PATH: the zip has no bytecode, and a cold start takes two to three times as long. ` +
          'Install it, or name the version of another one with --param python=3.12',
      );
      return;
    }
    const packages = [service.package, ...Object.values(service.functions).map((one) => one.package)];
    for (const zip of new Set(packages.map((one) => one?.artifact).filter(Boolean))) {
      execFileSync(python, [path.join(__dirname, 'bytecode.py'), path.resolve(serviceDir, zip)], { env });
    }
  }
}

// How a Python marks its bytecode, cpython-313; undefined where there is none of that name.
function cacheTag(python, env) {
  const program = 'import sys; print(sys.implementation.cache_tag)';
  return spawnSync(python, ['-c', program], { env, encoding: 'utf8' }).stdout?.trim();
}

module.exports = Bytecode;
